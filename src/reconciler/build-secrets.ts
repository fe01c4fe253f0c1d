/** What a build is given that no image keeps: secrets and ssh agents. */
import fs from 'node:fs'
import type { BuildRequest } from '../api/build-types.ts'
import type { BuildDefinition } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

/** Secrets of a build, by their ids in RUN. */
export function secretsOf(
  { contents }: BuildRequest,
  build: BuildDefinition,
): Record<string, Uint8Array> {
  const pairs = (build.secrets ?? []).flatMap(({ source, target }): [string, Uint8Array][] => {
    const content = contents.secrets[source]
    return content === undefined ? [] : [[target ?? source, Buffer.from(content, 'base64')]]
  })
  return Object.fromEntries(pairs)
}

/** Sockets of ssh agents, by id. @throws {FAILED_PRECONDITION} {UNIMPLEMENTED} */
export function sshOf(
  service: string,
  { options }: BuildRequest,
  build: BuildDefinition,
): Record<string, string> {
  const pairs = (build.ssh ?? []).map((entry): [string, string] => {
    const [id = '', file] = entry.split(/:\s*(.*)/s)
    const socket = file ?? options.ssh?.[id] ?? options.ssh?.['default']
    if (socket === undefined)
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot build service "${service}": there is no ssh agent "${id}"`,
        {
          hint: 'Start one, and set SSH_AUTH_SOCK',
        },
      )
    if (fs.statSync(socket, { throwIfNoEntry: false })?.isSocket() !== true)
      throw new TsstackError(
        'UNIMPLEMENTED',
        `Cannot build service "${service}": ssh "${id}" is "${socket}", no socket of an agent`,
        { hint: 'Add the key to an ssh agent' },
      )
    return [id, socket]
  })
  return Object.fromEntries(pairs)
}
