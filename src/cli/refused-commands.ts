/** Commands of Docker Compose that tsstack has not, each with the reason and what to do instead. */
import { TsstackError } from '../errors.ts'

const REASONS: Readonly<Record<string, string>> = {
  bridge: 'stack files are not converted for Kubernetes',
  alpha: 'experiments of Docker Compose are not followed',
}

/** For words that Docker Compose knows as commands, and tsstack does not. */
export const REFUSED_COMMANDS: readonly string[] = Object.keys(REASONS)

/** @throws {UNIMPLEMENTED} for such a command */
export function refuseCommand(name: string): void {
  if (!Object.hasOwn(REASONS, name)) return
  throw new TsstackError('UNIMPLEMENTED', `Cannot run "tsstack ${name}": ${REASONS[name] ?? ''}`)
}
