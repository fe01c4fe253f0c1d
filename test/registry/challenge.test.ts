import { expect, test } from 'vitest'
import { parseChallenges } from '../../src/registry/challenge.ts'

test.each([
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      },
    ],
  ],
  ['Basic realm=plain', [{ scheme: 'basic', parameters: { realm: 'plain' } }]],
  ['Basic realm="a \\"b\\""', [{ scheme: 'basic', parameters: { realm: 'a "b"' } }]],
  [
    'Basic realm="x", Bearer realm="y" , error="invalid_token"',
    [
      { scheme: 'basic', parameters: { realm: 'x' } },
      { scheme: 'bearer', parameters: { realm: 'y', error: 'invalid_token' } },
    ],
  ],
  ['Negotiate', [{ scheme: 'negotiate', parameters: {} }]],
  ['', []],
  ['=,=,"', []],
])('parseChallenges() reads %j', (header, challenges) => {
  expect(parseChallenges(header)).toEqual(challenges)
})
