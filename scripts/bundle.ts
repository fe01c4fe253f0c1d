/**
 * Bundles the command line and the daemon into .cache/bundle: `cli.cjs`, `daemon.mjs` with its threads (`unpack-thread-HASH.mjs`), and a
 * `stamp` whose time is the moment at which reading the sources began. `--if-stale`: only when a source is newer than the stamp.
 *
 * Why bundles: a start from TypeScript sources costs 100 ms and more of resolving, stripping and compiling; a bundle
 * with V8's compile cache costs a few. Why the command line is CommonJS: an ES module that imports `node:http` has all
 * of its exports read, and one of them (`WebSocket`) loads undici, 45 ms; and CommonJS lets a module that is imported
 * with `import()` stay unevaluated within the one file. (So no top-level `await` in anything that src/cli imports.)
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import type { BuildOptions, Plugin } from 'esbuild'

const ROOT = dirname(import.meta.dirname)
const TARGET = join(ROOT, '.cache', 'bundle')
const STAMP = join(TARGET, 'stamp')
const SOURCES = ['src', 'scripts/bundle.ts', 'package-lock.json']

/** The newest modification below a path, directories included (a removed file changes its directory). */
function newestMs(path: string): number {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

function isFresh(): boolean {
  try {
    const stampMs = statSync(STAMP).mtimeMs
    return SOURCES.every((source) => newestMs(join(ROOT, source)) <= stampMs)
  } catch {
    return false
  }
}

/** `import.meta` keeps pointing at the source file, wherever the bundle lies. */
const importMeta: Plugin = {
  name: 'import-meta',
  setup(builder) {
    builder.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8')
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replaceAll('import.meta.filename', JSON.stringify(path))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
    }))
  },
}

const COMMON: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node24',
  // koffi loads its native part from beside itself.
  external: ['koffi'],
  plugins: [importMeta],
  // Every kilobyte of source is read, decoded and hashed on each start.
  minify: true,
  legalComments: 'none',
  logLevel: 'error',
}

/** Packages written in CommonJS call `require`, which an ES module lacks. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

async function bundle(): Promise<void> {
  mkdirSync(TARGET, { recursive: true })
  const begun = new Date()
  const temporary = join(TARGET, `.new-${String(process.pid)}`)
  mkdirSync(temporary)
  try {
    await build({
      ...COMMON,
      entryPoints: ['src/cli/main.ts'],
      format: 'cjs',
      outfile: join(temporary, 'cli.cjs'),
      // A package's own import.meta.url; nothing that the command line uses needs the exact file.
      define: { 'import.meta.url': '__filenameUrl' },
      banner: { js: "const __filenameUrl = 'file://' + __filename;" },
    })
    if (hasDaemon()) {
      await buildDaemon(temporary)
    }
    const stamp = join(temporary, 'stamp')
    writeFileSync(stamp, '')
    utimesSync(stamp, begun, begun)
    const made = readdirSync(temporary).sort()
    for (const name of made) renameSync(join(temporary, name), join(TARGET, name))
    for (const name of readdirSync(TARGET))
      if (/-thread-\w+\.mjs$/.test(name) && !made.includes(name)) rmSync(join(TARGET, name))
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** What of the daemon knows the name of a thread's bundle, and what the thread runs. */
const THREADS = [
  { define: 'UNPACK_THREAD', entry: 'src/engine/images/unpack-thread.ts' },
  { define: 'LOAD_THREAD', entry: 'src/gitops/load-thread.ts' },
] as const

/** A daemon that still runs when others have taken its bundle's place must not start their threads: so it knows its own by name. */
async function buildDaemon(directory: string): Promise<void> {
  const module: BuildOptions = { ...COMMON, format: 'esm', banner: { js: REQUIRE } }
  const define: Record<string, string> = {}
  for (const thread of THREADS)
    define[thread.define] = JSON.stringify(await buildThread(directory, module, thread.entry))
  await build({
    ...module,
    entryPoints: ['src/daemon/main.ts'],
    outfile: join(directory, 'daemon.mjs'),
    define,
  })
}

/** @returns its name in the directory */
async function buildThread(
  directory: string,
  module: BuildOptions,
  entry: string,
): Promise<string> {
  const name = basename(entry, '.ts')
  const draft = join(directory, `${name}.mjs`)
  await build({ ...module, entryPoints: [entry], outfile: draft })
  const hash = createHash('sha256').update(readFileSync(draft)).digest('hex').slice(0, 16)
  const thread = `${name}-${hash}.mjs`
  renameSync(draft, join(directory, thread))
  return thread
}

function hasDaemon(): boolean {
  return statSync(join(ROOT, 'src/daemon/main.ts'), { throwIfNoEntry: false }) !== undefined
}

if (!(process.argv.includes('--if-stale') && isFresh())) {
  try {
    await bundle()
  } catch (error) {
    process.stderr.write(`tsstack: cannot bundle: ${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
