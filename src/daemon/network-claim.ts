/**
 * One daemon for a network namespace: the firewall table and the bridges there are one daemon's to write, and a second
 * one would take what the first has written for drift. The claim is a lock on a file that is named after the namespace:
 *
 *   /run/tsstack-net-4026531840.lock      the number is the inode of /proc/self/ns/net
 *
 * It lies where nobody but root can write, so no user of the host can hold it to keep the daemon away. What a daemon that
 * was killed has left the next one removes, of whichever namespace.
 */
import { readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { TsstackError } from '../errors.ts'
import { lockFile, removeUnlocked } from '../kernel/file-lock.ts'

export interface NetworkClaim {
  /** Removes the file; the lock itself goes with the process. */
  close(): void
}

const DIRECTORY = '/run'
const SWEEP_MS = 20

/** Holds for the life of this process. @throws {FAILED_PRECONDITION} when another daemon has this network namespace */
export async function claimNetwork(): Promise<NetworkClaim> {
  const file = path.join(DIRECTORY, `tsstack-net-${String(statSync('/proc/self/ns/net').ino)}.lock`)
  // A daemon that sweeps has it for an instant.
  if (!lockFile(file) && !(await setTimeout(SWEEP_MS, true).then(() => lockFile(file))))
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot start the daemon: another one, with other directories, has the network of this host ("${file}" is locked)`,
      {
        hint: 'stop that one with "tsstack daemon stop" (with its TSSTACK_RUN_DIR), or start this one in a network namespace of its own ("unshare --net")',
      },
    )
  sweep()
  return {
    close: () => {
      rmSync(file, { force: true })
    },
  }
}

function sweep(): void {
  for (const name of readdirSync(DIRECTORY)) {
    if (!/^tsstack-net-\d+\.lock$/.test(name)) continue
    try {
      removeUnlocked(path.join(DIRECTORY, name))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}
