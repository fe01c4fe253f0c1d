/** Somebody who is told of sources, in the network namespace of a daemon under test. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

const PORT = 9099
const PROGRAM = `require('node:http').createServer((request, response) => {
  let body = ''
  request.on('data', (text) => (body += text)).on('end', () => {
    console.log(body)
    response.writeHead(204).end()
  })
}).listen(${String(PORT)}, '127.0.0.1', () => console.log('{}'))`

export interface NotificationReceiver {
  readonly url: string
  /** What has come until now. */
  told(): readonly Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}

export async function startNotificationReceiver(netns: string): Promise<NotificationReceiver> {
  const words = [`--net=${netns}`, process.execPath, '-e', PROGRAM]
  const child = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  await once(child.stdout, 'data')
  return {
    url: `http://127.0.0.1:${String(PORT)}/told`,
    told: () =>
      text
        .split('\n')
        .slice(1, -1)
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
    close: async () => {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
