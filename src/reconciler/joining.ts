/**
 * Programs on their way into a container. From joining its control group until it has executed the program, such a process
 * has the daemon's memory, and a thread of the daemon waits for it (two-legs.ts): it must not be frozen on the way.
 */
const joining = new Map<string, Set<Promise<unknown>>>()

/** @param cgroup name of the container's control group */
export async function whileJoining<T>(cgroup: string, join: () => Promise<T>): Promise<T> {
  const others = joining.get(cgroup) ?? new Set()
  joining.set(cgroup, others)
  const own = join()
  others.add(own)
  try {
    return await own
  } finally {
    others.delete(own)
    if (others.size === 0) joining.delete(cgroup)
  }
}

/** Resolves when nobody is on the way; until the caller gives up its turn, nobody else sets out. */
export async function nobodyJoining(cgroup: string): Promise<void> {
  for (;;) {
    const others = joining.get(cgroup)
    if (others === undefined) return
    await Promise.allSettled(others)
  }
}
