/** Files put into named volumes: they are to be there for as long as nobody asks for the volumes to be removed. */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { DaemonFixture } from '../../daemon-fixture.ts'
import type { Step } from './steps.ts'

/** Paths of the files that were written. */
export type VolumeMarks = Set<string>

/** What a step removes is no loss, whether it came to its end or not. */
export function forgetRemoved(daemon: DaemonFixture, marks: VolumeMarks, step: Step): void {
  for (const operation of step.operations)
    if (operation.kind === 'down' && operation.volumes)
      for (const file of filesOf(daemon, operation.stack)) marks.delete(file)
}

/**
 * @param stacks - those that are wanted: volumes of others may be about to go, by a `down` that the daemon goes on with
 * @throws {Error} naming the data that is lost
 */
export function checkMarks(
  daemon: DaemonFixture,
  marks: VolumeMarks,
  stacks: Iterable<string>,
): void {
  const lost = [...marks].filter((file) => !existsSync(file))
  if (lost.length > 0) throw new Error(`data is lost from volumes: ${lost.join(', ')}`)
  for (const file of [...stacks].flatMap((stack) => filesOf(daemon, stack))) {
    if (marks.has(file) || !existsSync(path.dirname(file))) continue
    writeFileSync(file, 'keep me')
    marks.add(file)
  }
}

function filesOf(daemon: DaemonFixture, stack: string): string[] {
  return ['data', 'other'].map((name) =>
    path.join(daemon.stateDir, 'volumes', `${stack}_${name}`, '_data', 'mark'),
  )
}
