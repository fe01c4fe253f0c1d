/** An HTTP proxy that leads to one place, whatever it is asked for. */
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'

export interface Tunnel {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** `CONNECT host:port`, with the authorization that was shown, or the URL of plain HTTP. */
  readonly asked: string[]
  readonly close: () => void
}

/** @param target - `127.0.0.1:PORT` */
export async function startTunnel(target: string): Promise<Tunnel> {
  const asked: string[] = []
  const [host, port] = target.split(':')
  const server = http.createServer((request, response) => {
    asked.push(request.url ?? '')
    const headers = request.headers
    http.get(
      request.url?.replace(/^http:\/\/[^/]*/, `http://${target}`) ?? '',
      { headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
  })
  server.on('connect', (request, socket) => {
    asked.push(
      `CONNECT ${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`.trim(),
    )
    const onward = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    for (const one of [socket, onward]) {
      one.on('error', () => undefined)
      one.on('close', () => {
        socket.destroy()
        onward.destroy()
      })
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    asked,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
