/**
 * The dpkg database of this host (man 5 deb-control; /var/lib/dpkg/status and info/*.list): which files a package
 * brings, and when they last changed. A host without dpkg has no packages.
 */
import fs from 'node:fs'
import path from 'node:path'

export interface InstalledPackage {
  readonly name: string
  /** The .list file: dpkg replaces it whenever it installs the package. */
  readonly listFile: string
  /** Absolute paths as dpkg knows them, directories included. */
  readonly files: readonly string[]
  readonly conffiles: ReadonlySet<string>
}

export interface PackageDatabase {
  /**
   * A package and those of its dependencies that were built from the same source: nginx-light brings nginx-common,
   * redis-server brings redis-tools. Empty if it is not installed.
   */
  readonly find: (name: string) => InstalledPackage[]
}

interface ControlFields {
  readonly name: string
  readonly architecture: string
  readonly source: string
  readonly depends: readonly string[]
  readonly conffiles: readonly string[]
}

const MAX_PACKAGES = 64

function readStatus(directory: string): string {
  try {
    return `\n${fs.readFileSync(path.join(directory, 'status'), 'utf8')}`
  } catch {
    return ''
  }
}

/** Fields of a stanza; continuation lines are joined with newlines. */
function parseStanza(stanza: string): Map<string, string> {
  const fields = stanza.split(/\n(?=\S)/).map((field): [string, string] => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon), field.slice(colon + 1).trim()]
  })
  return new Map(fields)
}

function readControl(status: string, name: string): ControlFields | undefined {
  const start = status.indexOf(`\nPackage: ${name}\n`)
  if (start < 0) return undefined
  const end = status.indexOf('\n\n', start)
  const fields = parseStanza(status.slice(start + 1, end < 0 ? undefined : end))
  if (fields.get('Status')?.endsWith(' installed') !== true) return undefined
  const relations = [fields.get('Pre-Depends'), fields.get('Depends')].join(',')
  return {
    name,
    architecture: fields.get('Architecture') ?? '',
    source: fields.get('Source')?.split(' ')[0] ?? name,
    // `a (>= 1) | b:any`: every alternative counts, since only what is installed and of the same source is taken.
    depends: relations.split(/[,|]/).map((word) => word.trim().split(/[ (:]/)[0] ?? ''),
    conffiles: (fields.get('Conffiles') ?? '')
      .split('\n')
      .flatMap((line) => line.trim().split(' ')[0] ?? []),
  }
}

function readPackage(directory: string, control: ControlFields): InstalledPackage | undefined {
  const info = path.join(directory, 'info')
  for (const file of [`${control.name}.list`, `${control.name}:${control.architecture}.list`]) {
    const listFile = path.join(info, file)
    if (!fs.existsSync(listFile)) continue
    const files = fs.readFileSync(listFile, 'utf8').split('\n')
    return {
      name: control.name,
      listFile,
      files: files.filter((line) => line.startsWith('/') && line !== '/.'),
      conffiles: new Set(control.conffiles),
    }
  }
  return undefined
}

/** Reads the database as it is now. */
export function openPackageDatabase(directory = '/var/lib/dpkg'): PackageDatabase {
  let status: string | undefined
  return {
    find(wanted) {
      status ??= readStatus(directory)
      const root = readControl(status, wanted.replace(/:.*/, ''))
      const queue = root === undefined ? [] : [root]
      const seen = new Set<string>()
      const found: InstalledPackage[] = []
      while (queue.length > 0 && seen.size < MAX_PACKAGES) {
        const control = queue.shift()
        if (control === undefined || seen.has(control.name)) continue
        seen.add(control.name)
        const installed = readPackage(directory, control)
        if (installed !== undefined) found.push(installed)
        const next = control.depends.flatMap((name) => readControl(status ?? '', name) ?? [])
        queue.push(...next.filter(({ source }) => source === root?.source))
      }
      return found
    },
  }
}
