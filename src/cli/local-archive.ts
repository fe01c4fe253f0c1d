/** Files of this host as an archive, and back, with the rights of the user who runs the command. */
import { realpathSync, statSync, lstatSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { create, extract, ReadEntry } from 'tar'
import { TsstackError } from '../errors.ts'
import { LateLinks } from './late-links.ts'

export interface LocalFile {
  /** As the user wrote it. */
  readonly path: string
  readonly isDirectory: boolean
  /** Where it is really. */
  readonly real: string
}

/** @param follow - what a link leads to, instead of the link @throws {NOT_FOUND} */
export function localFile(file: string, follow: boolean): LocalFile {
  const follows = follow || /(^|\/)\.{0,2}$/.test(file)
  const stats = (follows ? statSync : lstatSync)(file, { throwIfNoEntry: false })
  if (stats === undefined)
    throw new TsstackError('NOT_FOUND', `Cannot copy "${file}": there is no such file`)
  const real = follows ? realpathSync(file) : path.resolve(file)
  return { path: file, isDirectory: stats.isDirectory(), real }
}

/** @param name - what it is called in the archive; '' for what is in it alone */
export function packLocal({ real }: LocalFile, name: string): Readable {
  const base = path.basename(real)
  const renamed = (entry: string): string =>
    name === '' ? `.${entry.slice(base.length)}` : `${name}${entry.slice(base.length)}`
  const chunks = create(
    {
      cwd: path.dirname(real),
      strict: true,
      onWriteEntry(entry) {
        entry.path = renamed(entry.path)
        if (entry.type === 'Link' && entry.linkpath !== undefined)
          entry.linkpath = renamed(entry.linkpath)
      },
    },
    [`./${base}`.slice(2)],
  )
  return Readable.from(chunks, { objectMode: false })
}

/** @param directory - must be there; nothing outside of it is written @throws {INVALID_ARGUMENT} */
export async function unpackLocal(
  archive: Readable,
  directory: string,
  options: { readonly keepIds: boolean },
): Promise<void> {
  const keepIds = options.keepIds && process.getuid?.() === 0
  const links = new LateLinks()
  const sink = extract({
    cwd: directory,
    strict: true,
    chmod: true,
    umask: 0,
    preserveOwner: keepIds,
    filter: (_, entry) => !(entry instanceof ReadEntry && links.take(entry)),
  })
  try {
    await pipeline(archive, sink)
    links.make(directory, { keepIds })
  } catch (error) {
    if (error instanceof TsstackError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const isSystems = code !== undefined && /^E[A-Z]+$/.test(code)
    throw new TsstackError(
      isSystems ? 'FAILED_PRECONDITION' : 'INVALID_ARGUMENT',
      `Cannot copy to "${directory}": ${message}`,
      { cause: error },
    )
  }
}
