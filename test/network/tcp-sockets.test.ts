import { expect, test } from 'vitest'
import { parseSockets } from '../../src/network/tcp-sockets.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

function line(local: string, remote: string, state: string): string {
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n`
}

test('parseSockets() counts what came in and is not over', () => {
  const web = '0200C90A:1F90'
  const text =
    HEAD +
    line('00000000:1F90', '00000000:0000', '0A') +
    line(web, '0100C90A:A000', '01') +
    line(web, '0100C90A:A001', '08') +
    line(web, '0100C90A:A002', '06') + // TIME_WAIT
    line('0200C90A:B000', '0300C90A:1538', '01') // to a database
  expect(parseSockets(text)).toEqual({ listening: new Set([8080]), incoming: 2 })
})

test('parseSockets() reads IPv6 too', () => {
  const any = '00000000000000000000000000000000'
  const text =
    HEAD + line(`${any}:0050`, `${any}:0000`, '0A') + line(`${any}:0050`, `${any}:A000`, '01')
  expect(parseSockets(text)).toEqual({ listening: new Set([80]), incoming: 1 })
})

test('parseSockets() of nothing is nothing', () => {
  expect(parseSockets('')).toEqual({ listening: new Set(), incoming: 0 })
})
