"""All benchmarks, one after the other."""

from benchmarks import memory, photo

if __name__ == "__main__":
    photo.main()
    memory.main()
