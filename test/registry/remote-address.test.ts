import { expect, test } from 'vitest'
import { checkHost, mayFetchFrom } from '../../src/registry/remote-address.ts'

test.each(['127.0.0.1', '127.9.9.9', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1'])(
  'the loopback address %s is for builds with the network of the host',
  (address) => {
    expect(mayFetchFrom(address, false)).toBe(false)
    expect(mayFetchFrom(address, true)).toBe(true)
  },
)

test.each(['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254', '224.0.0.1', 'ff02::1'])(
  '%s is for no build',
  (address) => {
    expect(mayFetchFrom(address, true)).toBe(false)
  },
)

test.each(['192.0.2.1', '10.1.2.3', '2001:db8::1'])('%s is for all', (address) => {
  expect(mayFetchFrom(address, false)).toBe(true)
})

test.each(['http://2130706433/', 'http://0x7f.1/', 'http://[::1]/', 'http://127.1/'])(
  '%s is loopback, however it is written',
  (url) => {
    expect(() => {
      checkHost(new URL(url), false)
    }).toThrow('link-local')
  },
)
