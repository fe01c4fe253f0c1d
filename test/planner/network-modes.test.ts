import { expect, test } from 'vitest'
import { withNamedNetworks } from '../../src/planner/network-modes.ts'
import { desiredState } from './states.ts'

test('a stack without such a mode stays as it is', () => {
  const modes = ['none', 'host', 'service:web', 'container:other']
  const services = Object.fromEntries(modes.map((mode) => [mode, { network_mode: mode }]))
  const { stack } = desiredState({ web: {}, ...services })
  expect(withNamedNetworks(stack)).toEqual(stack)
})

test('the bridge of the host is one of the stack, whichever way it is named', () => {
  const named = { networks: { host_bridge: { name: 'bridge', external: true } } }
  const { stack } = desiredState(
    {
      a: { network_mode: 'bridge' },
      b: { network_mode: 'default' },
      c: { networks: { host_bridge: null } },
    },
    named,
  )
  const { services, networks } = withNamedNetworks(stack)
  const namesOf = (service: string): unknown[] =>
    Object.keys(services[service]?.networks ?? {}).map((key) => networks[key])
  const bridge = [{ name: 'shop_default_bridge' }]
  expect([namesOf('a'), namesOf('b'), namesOf('c')]).toEqual([bridge, bridge, bridge])
  expect(services['a']).not.toHaveProperty('network_mode')
})

test.each([
  ['another network is an external one', 'proxy', { name: 'proxy', external: true }],
  ['a network of the stack goes before one elsewhere', 'front', { name: 'shop_front' }],
  ['a word of the language is a name', '__proto__', { name: '__proto__', external: true }],
])('%s', (_, mode, definition) => {
  const { stack } = desiredState(
    { a: { network_mode: mode } },
    { networks: { front: { name: 'shop_front' } } },
  )
  const { services, networks } = withNamedNetworks(stack)
  expect(Object.keys(services['a']?.networks ?? {})).toEqual([mode])
  expect(Object.getOwnPropertyDescriptor(networks, mode)?.value).toEqual(definition)
})
