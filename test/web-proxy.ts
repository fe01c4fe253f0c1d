/**
 * The way out for containers of a daemon under test, whose network has none: a proxy for plain HTTP that listens in the
 * daemon's network namespace and asks from the test's own.
 */
import { spawn } from 'node:child_process'
import http from 'node:http'
import path from 'node:path'
import { once } from 'node:events'

export interface WebProxy {
  /** `http://127.0.0.1:PORT`, in that namespace. */
  readonly url: string
  close(): void
}

function passOn(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { url = '', method, headers } = request
  const upstream = http.request(url, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  upstream.on('error', () => response.destroy())
  response.on('close', () => upstream.destroy())
  request.pipe(upstream)
}

/**
 * @param directory - for its socket file
 * @param handler - answers instead of passing on: then it is a server
 */
export async function startWebProxy(
  netns: string,
  directory: string,
  handler: http.RequestListener = passOn,
): Promise<WebProxy> {
  const socketFile = path.join(directory, 'proxy.sock')
  const server = http.createServer(handler).listen(socketFile)
  await once(server, 'listening')
  const relay = path.join(import.meta.dirname, 'fixtures/relay.ts')
  const child = spawn('nsenter', [`--net=${netns}`, process.execPath, relay, socketFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    url: `http://127.0.0.1:${port.toString().trim()}`,
    close() {
      child.kill('SIGKILL')
      server.closeAllConnections()
      server.close()
    },
  }
}
