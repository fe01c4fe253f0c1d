/** Files that are only in memory, for tests of the loader. */
import type { FileAccess, LoadOptions } from '../../src/spec/load-options.ts'
import type { LoadedStack } from '../../src/spec/loaded-stack.ts'
import { loadStack } from '../../src/spec/load-stack.ts'

/** A file system of the given files below /project. */
export function memoryFiles(files: Readonly<Record<string, string>>): FileAccess {
  const paths = new Map(
    Object.entries(files).map(([name, text]) => [
      name.startsWith('/') ? name : `/project/${name}`,
      text,
    ]),
  )
  const isDirectory = (path: string): boolean =>
    !paths.has(path) &&
    [...paths.keys()].some((file) => file.startsWith(path === '/' ? '/' : `${path}/`))
  return {
    readFile: (path) => {
      const text = paths.get(path)
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
      return Buffer.from(text)
    },
    exists: (path) => paths.has(path) || isDirectory(path),
    isDirectory,
  }
}

/** Loads from files in memory; the working directory is /project. */
export function loadFrom(
  files: Readonly<Record<string, string>>,
  options: Partial<LoadOptions> = {},
): LoadedStack {
  return loadStack({ fs: memoryFiles(files), cwd: '/project', env: {}, ...options })
}
