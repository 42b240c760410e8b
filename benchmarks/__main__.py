"""All benchmarks, one after the other."""

from benchmarks import convis, explain, memory, photo, splice

if __name__ == "__main__":
    photo.main()
    memory.main()
    explain.main()
    splice.main()
    convis.main()
