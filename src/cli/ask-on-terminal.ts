/** Questions to whoever sits at the terminal: on /dev/tty, so that standard input and output stay free. */
import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { ReadStream, WriteStream } from 'node:tty'
import { Writable } from 'node:stream'
import { TsstackError } from '../errors.ts'

/**
 * @param options.isSecret - what is typed is not shown
 * @throws {FAILED_PRECONDITION} nobody sits there
 */
export async function askOnTerminal(
  question: string,
  { isSecret = false }: { readonly isSecret?: boolean } = {},
): Promise<string> {
  let fd: number
  try {
    fd = openSync('/dev/tty', 'r+')
  } catch (cause) {
    throw new TsstackError('FAILED_PRECONDITION', 'Cannot ask: there is no terminal', {
      cause,
      hint: 'Use --username and --password-stdin',
    })
  }
  const input = new ReadStream(fd)
  const screen = new WriteStream(fd)
  const silent = new Writable({
    write: (_chunk, _encoding, done) => {
      done()
    },
  })
  screen.write(question)
  const reader = createInterface({ input, output: isSecret ? silent : screen, terminal: true })
  try {
    return await reader.question('')
  } finally {
    if (isSecret) screen.write('\n')
    reader.close()
    input.destroy()
    try {
      closeSync(fd)
    } catch {
      // The stream has closed it.
    }
  }
}
