"""All benchmarks, one after the other."""

from benchmarks import convis, explain, kill_cache, manifest, memory, photo, splice, train

if __name__ == "__main__":
    photo.main()
    memory.main()
    explain.main()
    splice.main()
    convis.main()
    manifest.main()
    kill_cache.main()
    train.main()
