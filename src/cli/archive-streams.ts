/** Archives by standard input and output, or by files that are named. */
import {
  accessSync,
  constants,
  createReadStream,
  createWriteStream,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { LoadFileRequest } from '../api/image-types.ts'
import { TsstackError } from '../errors.ts'

/** A file, or standard input. @throws {INVALID_ARGUMENT} a terminal, with what to do instead */
export function openArchive(
  file: string | undefined,
  hint = 'Name a file with -i, or use "< FILE"',
): Readable {
  if (file !== undefined && file !== '-') return createReadStream(file)
  if (process.stdin.isTTY) {
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot read an archive from a terminal', {
      hint,
    })
  }
  return process.stdin
}

/**
 * A file of an archive, for a daemon that can open it by itself.
 * @returns undefined for standard input, and for what is no regular file or may not be read: opening it says why
 */
export function readableFile(file: string | undefined): LoadFileRequest | undefined {
  if (file === undefined || file === '-') return undefined
  try {
    accessSync(file, constants.R_OK)
    const stats = statSync(file, { bigint: true })
    if (!stats.isFile()) return undefined
    const { dev, ino, size, mtimeNs } = stats
    return { path: path.resolve(file), version: [dev, ino, size, mtimeNs].join(':') }
  } catch {
    return undefined
  }
}

/** Into a file, that appears when it is whole, or to standard output. @throws {INVALID_ARGUMENT} a terminal */
export async function writeArchive(archive: Readable, file: string | undefined): Promise<void> {
  if (file === undefined) {
    // Standard output itself is never closed.
    const relay = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        if (process.stdout.write(chunk)) done()
        else process.stdout.once('drain', done)
      },
    })
    await pipeline(archive, relay.resume())
    return
  }
  const draft = `${file}.part`
  try {
    await pipeline(archive, createWriteStream(draft, { mode: 0o600 }))
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** @throws {INVALID_ARGUMENT} standard output is a terminal, with what to do instead */
export function refuseTerminal(command: string, instead = '-o FILE, or "> FILE"'): void {
  if (!process.stdout.isTTY) return
  throw new TsstackError('INVALID_ARGUMENT', 'Cannot write an archive to a terminal', {
    hint: `${command} ${instead}`,
  })
}
