/** What the real SOPS wrote, read with the real age; and what somebody has tampered with, which is not. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { decryptSops, isSopsFile } from '../../src/gitops/sops/decrypt-sops.ts'

const hasAge = spawnSync('age-keygen', ['--version']).error === undefined
const DIRECTORY = join(import.meta.dirname, 'sops')
const KEY = join(DIRECTORY, 'key.txt')
const COMPLEX = {
  ...{ secret: 'this is a secret', string: 'string', int: 7, float: 3.14, boolean: true },
  complex: { value: 'this is a secret', array: ['one', 'two', 'three'] },
}

describe.skipIf(!hasAge)('decryptSops()', () => {
  let scratch = ''
  let identity = ''
  let sealedKey = ''
  const dataKey = randomBytes(32)
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'tsstack-sops-'))
    identity = join(scratch, 'identity')
    spawnSync('age-keygen', ['-o', identity])
    const recipient = /public key: (\S+)/.exec(readFileSync(identity, 'utf8'))?.[1] ?? ''
    sealedKey = spawnSync('age', ['--armor', '-r', recipient], { input: dataKey }).stdout.toString()
  })
  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true })
  })

  const real = (name: string): string => readFileSync(join(DIRECTORY, name), 'utf8')
  const decrypt = async (text: string, name: string, key = KEY): Promise<string> => {
    expect(isSopsFile(Buffer.from(text))).toBe(true)
    return (await decryptSops(Buffer.from(text), name, key)).toString()
  }

  test('reads YAML, JSON and .env of SOPS 3.8', async () => {
    expect(parse(await decrypt(real('secret.enc.yaml'), 'a.yaml'))).toEqual(COMPLEX)
    expect(JSON.parse(await decrypt(real('secret.enc.json'), 'a.json'))).toEqual(COMPLEX)
    const env = 'secret=this is a secret\nanother_secret=7\n'
    expect(await decrypt(real('secret.enc.env'), 'a.env')).toBe(env)
  })

  test.each<[string, (text: string) => string, string]>([
    [
      'a changed value',
      (text) => text.replace('data:ME9a', 'data:ME9b'),
      '"secret": it was changed',
    ],
    ['a value left out', (text) => text.replace(/^string: .*\n/m, ''), 'changed since'],
    [
      'a value put in',
      (text) => text.replace('sops:', 'more_unencrypted: x\nsops:'),
      'changed since',
    ],
    ['another name', (text) => text.replace('string:', 'strong:'), '"strong": it was changed'],
    ['a plain value', (text) => text.replace(/^int: .*/m, 'int: 8'), 'should be encrypted'],
    ['another rule', (text) => text.replace('_unencrypted', 'secret'), 'changed since'],
    ['another time', (text) => text.replace('22:08:10Z', '22:08:11Z'), 'it was changed'],
    ['no code', (text) => text.replace(/^ {2}mac: .*\n/m, ''), 'no message authentication code'],
    [
      'another order',
      (text) => text.replace(/^(secret: .*\n)(string: .*\n)/m, '$2$1'),
      'changed since',
    ],
    [
      'a short tag',
      (text) => text.replace(/tag:llVdEID432oMefr5T2tl2g==/, 'tag:llVdEA=='),
      'no tag',
    ],
    [
      'an alias',
      (text) => text.replace(/^string: .*/m, 'string: &x y\nother: *x'),
      'it has aliases',
    ],
  ])('refuses %s', async (_, change, message) => {
    const text = real('secret.enc.yaml')
    expect(change(text)).not.toBe(text)
    await expect(decrypt(change(text), 'a.yaml')).rejects.toThrow(message)
  })

  test('is for its recipients alone, and says what it was encrypted for instead', async () => {
    const text = real('secret.enc.yaml')
    await expect(decrypt(text, 'a.yaml', identity)).rejects.toThrow('no identity matched')
    const kms = text
      .replace(/^ {2}age:\n[^]*(?= {2}lastmodified)/m, '')
      .replace('kms: []', 'kms: [{arn: x}]')
    await expect(decrypt(kms, 'a.yaml')).rejects.toThrow('no recipient of age, but kms')
  })

  /** As SOPS does it, in short: what the real files do not have. */
  const seal = (plain: string | Buffer, about: string, type = 'str'): string => {
    const iv = randomBytes(32)
    const cipher = createCipheriv('aes-256-gcm', dataKey, iv).setAAD(Buffer.from(about))
    const data = Buffer.concat([cipher.update(plain), cipher.final()])
    const [d, i, t] = [data, iv, cipher.getAuthTag()].map((bytes) => bytes.toString('base64'))
    return `ENC[AES256_GCM,data:${d ?? ''},iv:${i ?? ''},tag:${t ?? ''},type:${type}]`
  }
  const notes = (counted: string | Buffer, more: object = {}): object => {
    const lastmodified = '2026-01-01T00:00:00Z'
    const code = createHash('sha512').update(counted).digest('hex').toUpperCase()
    const age = [{ recipient: 'age1', enc: sealedKey }]
    return { age, lastmodified, mac: seal(code, lastmodified), version: '3.10.2', ...more }
  }

  test('reads a file of another kind, byte for byte', async () => {
    for (const plain of [
      Buffer.from('-----BEGIN KEY-----\n\u0000ü\n'),
      Buffer.from([0xff, 0x00, 0xc3]),
    ]) {
      const file = { data: seal(plain, 'data:'), sops: notes(plain) }
      const text = Buffer.from(JSON.stringify(file, undefined, '\t'))
      expect(isSopsFile(text) && isSopsFile(Buffer.from(JSON.stringify(file)))).toBe(true)
      expect(await decryptSops(text, 'server.key', identity)).toEqual(plain)
    }
  })

  test('follows the rules of what is encrypted', async () => {
    const document = {
      kind: 'plain',
      data: { 'pass:word': seal('yes', 'data:pass:word:'), list: [seal('1e3', 'data:list:'), ''] },
      number: 1e21,
    }
    const more = { encrypted_regex: '^(data|stringData)$' }
    const all = stringify({ ...document, sops: notes('plainyes1e31000000000000000000000', more) })
    const read = { kind: 'plain', data: { 'pass:word': 'yes', list: ['1e3', ''] }, number: 1e21 }
    expect(parse(await decrypt(all, 'a.yaml', identity))).toEqual(read)
    const start = createHash('sha256').update('sops').digest()
    const some = { ...more, mac_only_encrypted: true }
    const only = notes(Buffer.concat([start, Buffer.from('yes1e3')]), some)
    const text = stringify({ ...document, kind: 'changed', sops: only })
    expect(parse(await decrypt(text, 'a.yaml', identity))).toEqual({ ...read, kind: 'changed' })
  })

  test('leaves encrypted comments out, and reads all documents', async () => {
    const sops = notes('onetwo')
    const comment = seal('nobody reads it', '', 'comment')
    const text = `#${comment}\n${stringify({ a: seal('one', 'a:'), sops })}---\n${stringify({ b: seal('two', 'b:'), sops })}`
    const plain = await decrypt(text, 'a.yaml', identity)
    expect(plain).toBe('a: "one"\n---\nb: "two"\n')
  })
})
