/** Instructions of a Dockerfile that are given one by one, and change nothing but the configuration: `commit --change`. */
import { readInstruction } from './dockerfile/read-instruction.ts'
import { parseTrigger } from './dockerfile/parse-dockerfile.ts'
import { dockerfileError, type Place } from './dockerfile/place.ts'
import { expandAt, valueIn } from './dockerfile/stages.ts'
import { applyMetadata } from './metadata-step.ts'
import { change, type StageState } from './stage-state.ts'
import { absolutePath } from './workdir-step.ts'

const ESCAPE = '\\'
/** Those of docker commit. */
const ALLOWED = new Set([
  ...['cmd', 'entrypoint', 'env', 'expose', 'healthcheck', 'label', 'onbuild'],
  ...['stopsignal', 'user', 'volume', 'workdir'],
])

/** @throws {INVALID_ARGUMENT} for what is no instruction, or does more than that */
export function applyChanges(state: StageState, changes: readonly string[]): void {
  for (const [index, text] of changes.entries()) {
    const place: Place = { file: '--change', line: index + 1, column: 1 }
    const instruction = readInstruction(parseTrigger(text, place, ESCAPE), ESCAPE)
    if (!ALLOWED.has(instruction.kind))
      throw dockerfileError(
        place,
        `${instruction.kind.toUpperCase()} can't be a change`,
        `Allowed are ${[...ALLOWED].map((kind) => kind.toUpperCase()).join(', ')}`,
      )
    const lookup = (name: string): string | undefined => valueIn(name, state.config.env)
    const expand = (word: string, at: Place): string =>
      expandAt(word, at, { escape: ESCAPE, lookup })
    if (instruction.kind === 'workdir') {
      const workingDir = absolutePath(expand(instruction.value, place), state.config.workingDir)
      change(state, { workingDir })
    } else applyMetadata(instruction, { state, escape: ESCAPE, expand })
  }
}
