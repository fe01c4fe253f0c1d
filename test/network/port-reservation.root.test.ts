import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openNetworkDriver } from '../../src/network/network-driver.ts'
import { reservePort, type PortReservation } from '../../src/network/port-reservation.ts'
import { openTcpProxy } from '../../src/network/tcp-proxy.ts'
import { ask, enterTestHost } from './sandbox.ts'

const ANY = { hostIp: '0.0.0.0', protocol: 'tcp' } as const
let host: { netnsFd: number; leave(): void }
const held: PortReservation[] = []

beforeEach(() => {
  host = enterTestHost()
  const driver = openNetworkDriver()
  driver.attachEndpoints({ netnsFd: host.netnsFd, netlinkFd: driver.fd }, []) // loopback
  driver.close()
})

afterEach(() => {
  for (const reservation of held.splice(0)) reservation.release()
  host.leave()
})

function hold(...[request]: Parameters<typeof reservePort>): number {
  const reservation = reservePort(request)
  held.push(reservation)
  return reservation.port
}

describe('reservePort', () => {
  test('reservePort() takes the port asked for, once, until it is released', () => {
    const first = reservePort({ ...ANY, published: { from: 8080, to: 8080 } })
    expect(() => hold({ ...ANY, published: { from: 8080, to: 8080 } })).toThrow(
      'Cannot publish port 0.0.0.0:8080/tcp: it is in use',
    )
    expect(() =>
      hold({ ...ANY, hostIp: '127.0.0.1', published: { from: 8080, to: 8080 } }),
    ).toThrow('it is in use')
    first.release()
    first.release()
    expect(hold({ ...ANY, published: { from: 8080, to: 8080 } })).toBe(8080)
  })

  test('reservePort() names the process that has the port', async () => {
    const server = createServer()
    server.listen(8080)
    await once(server, 'listening')
    try {
      expect(() => hold({ ...ANY, published: { from: 8080, to: 8080 } })).toThrow(
        `(pid ${process.pid})`,
      )
    } finally {
      server.close()
    }
  })

  test('reservePort() takes the lowest free port of a range, and says when there is none', () => {
    const published = { from: 9000, to: 9002 }
    expect([1, 2, 3].map(() => hold({ ...ANY, published }))).toEqual([9000, 9001, 9002])
    expect(() => hold({ ...ANY, published })).toThrow('all are in use')
  })

  test('reservePort() takes any free port, TCP, UDP and IPv6 apart', () => {
    const port = hold(ANY)
    expect(port).toBeGreaterThan(0)
    expect(hold({ ...ANY, protocol: 'udp', published: { from: port, to: port } })).toBe(port)
    expect(hold({ ...ANY, hostIp: '::', published: { from: port, to: port } })).toBe(port)
  })

  test('reservePort() takes a port on which only closed connections wait', async () => {
    const server = createServer((socket) => {
      socket.end()
    })
    server.listen(8081)
    await once(server, 'listening')
    await ask(host.netnsFd, '127.0.0.1', 8081)
    server.close()
    await once(server, 'close')
    expect(hold({ ...ANY, published: { from: 8081, to: 8081 } })).toBe(8081)
  })

  test('reservePort() refuses an address that the host does not have', () => {
    expect(() => hold({ ...ANY, hostIp: '192.0.2.1' })).toThrow(
      '"192.0.2.1" is not an address of this host',
    )
  })
})

describe('openTcpProxy', () => {
  test('openTcpProxy() carries both directions and half-closed connections, and retargets', async () => {
    const servers = [7001, 7002].map((port) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        let text = ''
        socket.on('data', (part) => {
          text += String(part)
        })
        socket.on('end', () => {
          socket.end(`${port} ${text}`)
        })
      })
      server.listen(port, '127.0.0.1')
      return server
    })
    const proxy = await openTcpProxy({ address: '::', port: 7000 }, [
      { address: '127.0.0.1', port: 7001 },
    ])
    const talk = async (): Promise<string> => {
      const socket = createConnection({ host: '::1', port: 7000, allowHalfOpen: true })
      socket.end('x'.repeat(200_000))
      let answer = ''
      for await (const part of socket) answer += String(part)
      return answer
    }
    try {
      expect(await talk()).toBe(`7001 ${'x'.repeat(200_000)}`)
      proxy?.retarget([{ address: '127.0.0.1', port: 7002 }])
      expect(await talk()).toMatch(/^7002/)
      proxy?.retarget([{ address: '127.0.0.1', port: 7003 }])
      await expect(ask(host.netnsFd, '::1', 7000)).rejects.toThrow('ECONNRESET')
      await expect(
        openTcpProxy({ address: '::1', port: 7000 }, [{ address: '127.0.0.1', port: 7001 }]),
      ).rejects.toThrow('it is in use')
    } finally {
      proxy?.close()
      for (const server of servers) server.close()
    }
  })
})
