/** Warnings: what is no mistake, but seldom meant; each with its place. */
import { describe, expect, test } from 'vitest'
import type { LoadOptions } from '../../src/spec/load-options.ts'
import { loadFrom } from './memory-files.ts'

function warningsOf(text: string, options: Partial<LoadOptions> = {}): string[] {
  return loadFrom({ 'stack.yaml': text }, options).warnings.map(
    ({ message, line, column }) => `${String(line)}:${String(column)} ${message}`,
  )
}

describe('loadStack() warns of', () => {
  test('nothing where nothing is suspicious', () => {
    const text =
      'services:\n  a: {image: x, ports: ["22:22", 80, "127.0.0.1:90:90"], networks: [n], volumes: [vol:/v]}\n  b: {image: x, ports: ["127.0.0.2:90:90", "90:91/udp"]}\nnetworks: {n: , default: }\nvolumes: {vol: }\n'
    expect(warningsOf(text)).toEqual([])
  })

  test('resources that no service uses, not even one of an inactive profile', () => {
    const text =
      'services:\n  a: {image: x}\n  p: {image: x, profiles: [p], volumes: [used:/v]}\nvolumes:\n  used:\n  v:\nnetworks:\n  n:\nconfigs:\n  c: {content: a}\nsecrets:\n  s: {environment: S}\n'
    expect(warningsOf(text)).toEqual([
      '8:3 network "n" is not used by any service',
      '6:3 volume "v" is not used by any service',
      '10:3 config "c" is not used by any service',
      '12:3 secret "s" is not used by any service',
    ])
  })

  test('a host port that two services want; replicas of one share it', () => {
    const text =
      'services:\n  a: {image: x, ports: ["80:80", "80:81"]}\n  b:\n    image: x\n    ports:\n      - "127.0.0.1:80:82"\n  c: {image: x, scale: 2, ports: ["90:90"]}\n'
    expect(warningsOf(text)).toEqual([
      '2:34 services.a.ports: host port 80/tcp is published twice',
      '6:9 services.b.ports: host port 80/tcp is published by service "a" too',
    ])
  })

  test('a port of another profile that is not active: not', () => {
    const text =
      'services:\n  a: {image: x, ports: ["80:80"]}\n  b: {image: x, profiles: [p], ports: ["80:80"]}\n'
    expect(warningsOf(text)).toEqual([])
    expect(warningsOf(text, { profiles: ['p'] })).toHaveLength(1)
  })

  test('ports without quotes that YAML 1.1 takes for a number of base 60', () => {
    const text = 'services:\n  a:\n    image: x\n    ports:\n      - 22:22\n      - 8080:80\n'
    expect(warningsOf(text)).toEqual([
      '5:9 services.a.ports: write "22:22" with quotes: YAML 1.1 reads 22:22 as the number 1342',
    ])
  })

  test('commands that only a shell would understand', () => {
    const text = `services:
  a: {image: x, command: "echo a | cat", post_start: [{command: "a && b"}]}
  b: {image: x, command: 'sh -c "a | b"', entrypoint: [sh, -c, a | b], healthcheck: {test: "a | b"}}
`
    expect(warningsOf(text)).toEqual([
      '2:26 services.a: no shell reads this command: what begins with "|" is left out; write ["sh", "-c", "…"]',
      '2:65 services.a: no shell reads this command: what begins with "&" is left out; write ["sh", "-c", "…"]',
    ])
  })

  test('version, and variables that are not set', () => {
    expect(warningsOf('version: "3"\nservices: {a: {image: "x:${TAG}"}}\n')).toEqual([
      '2:23 The "TAG" variable is not set. Defaulting to a blank string.',
      '1:1 the attribute `version` is obsolete, it will be ignored, please remove it',
    ])
  })
})
