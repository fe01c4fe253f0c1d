/**
 * Where a copy goes and what it is called there, by the rules of `docker cp`
 * (https://docs.docker.com/reference/cli/docker/container/cp/). Pure.
 */
import path from 'node:path'
import { TsstackError } from '../errors.ts'

export interface CopySource {
  readonly path: string
  readonly isDirectory: boolean
}

export interface CopyDestination {
  readonly path: string
  readonly exists: boolean
  readonly isDirectory: boolean
}

export interface CopyPlan {
  /** What is written into; it must be there. */
  readonly directory: string
  /** What the source is called in it; '' when only what is in the source is copied. */
  readonly name: string
}

/** `SERVICE:PATH` as its parts; undefined for a path of this host, which begins with `/` or `.` if it has a colon. */
export function parseRemote(argument: string): { target: string; path: string } | undefined {
  const colon = argument.indexOf(':')
  if (colon <= 0 || argument.startsWith('/') || argument.startsWith('.')) return undefined
  return { target: argument.slice(0, colon), path: argument.slice(colon + 1) }
}

/** Paths of a container are those of its root. */
export function absoluteInContainer(text: string): string {
  return text.startsWith('/') ? text : `/${text}`
}

/** The contents of a directory are meant by `DIRECTORY/.`, and by the root. */
export function meansContents(text: string): boolean {
  return /(^|\/)\.$/.test(text) || /^\/+$/.test(text)
}

function refuse(source: string, destination: string, state: string): TsstackError {
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot copy "${source}" to "${destination}": ${state}`,
  )
}

/** @throws {INVALID_ARGUMENT} a directory onto a file; a file into a directory that is not there */
export function planCopy(source: CopySource, destination: CopyDestination): CopyPlan {
  const { posix } = path
  if (destination.exists && destination.isDirectory) {
    const name = meansContents(source.path) ? '' : posix.basename(source.path)
    return { directory: destination.path, name }
  }
  if (destination.exists && source.isDirectory)
    throw refuse(source.path, destination.path, 'the source is a directory, the destination a file')
  const saysDirectory = /(^|\/)\.{0,2}$/.test(destination.path)
  if (saysDirectory && !source.isDirectory)
    throw refuse(source.path, destination.path, 'the destination must be a directory that exists')
  const place = posix.normalize(destination.path).replace(/(.)\/+$/, '$1')
  return { directory: posix.dirname(place), name: posix.basename(place) }
}
