/** Changes of files below some paths, by chokidar: inotify on each directory that is entered, and on no other. */
import { watch } from 'chokidar'

export interface FileWatcherOptions {
  /** Absolute; what is not there yet is waited for. */
  readonly paths: readonly string[]
  /** Asked before a directory is read and before a change is told. */
  readonly enters: (path: string) => boolean
  /** Added, changed or removed: a file, a directory or a symlink. */
  readonly onChange: (path: string) => void
  readonly onError: (error: Error) => void
}

export interface FileWatcher {
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Resolves when every change from now on is told. */
export async function openFileWatcher(options: FileWatcherOptions): Promise<FileWatcher> {
  const { paths, enters, onChange, onError } = options
  const watcher = watch([...paths], {
    ignored: (path) => !enters(path),
    ignoreInitial: true,
    // Changes are told as they come; whoever wants to wait for more does so itself.
    atomic: false,
    followSymlinks: false,
    // Of the two kinds that follow the kernel the one that reads no directory that is not entered.
    backend: 'native',
  })
  watcher.on('error', (error) => {
    onError(error instanceof Error ? error : new Error(String(error)))
  })
  await new Promise<void>((resolve) => watcher.once('ready', resolve))
  watcher.on('all', (_event, path) => {
    onChange(path)
  })
  return { close: () => watcher.close() }
}
