import { describe, expect, test } from 'vitest'
import { isRemote } from '../../src/spec/remote-files.ts'
import { parseGitReference } from '../../src/sources/git-reference.ts'

describe('parseGitReference()', () => {
  test.each([
    [
      'https://host/a/shop.git',
      { url: 'https://host/a/shop.git', protocol: 'https', name: 'shop' },
    ],
    [
      'https://user@host:8443/shop.git#v1.2:deploy/prod',
      {
        url: 'https://user@host:8443/shop.git',
        protocol: 'https',
        name: 'shop',
        ref: 'v1.2',
        path: 'deploy/prod',
      },
    ],
    [
      'github.com/me/shop.git#feature/x',
      {
        url: 'https://github.com/me/shop.git',
        protocol: 'https',
        name: 'shop',
        ref: 'feature/x',
      },
    ],
    [
      'git@host:me/shop.git#:a/b.yaml',
      { url: 'git@host:me/shop.git', protocol: 'ssh', name: 'shop', path: 'a/b.yaml' },
    ],
    ['ssh://git@host:22/shop', { url: 'ssh://git@host:22/shop', protocol: 'ssh', name: 'shop' }],
    ['git://host/shop.git', { url: 'git://host/shop.git', protocol: 'git', name: 'shop' }],
    ['file:///srv/.x.git', { url: 'file:///srv/.x.git', protocol: 'file', name: 'x' }],
    [
      'http://127.0.0.1:80/a.git',
      { url: 'http://127.0.0.1:80/a.git', protocol: 'http', name: 'a' },
    ],
  ])('reads %s', (text, expected) => {
    expect(isRemote(text)).toBe(true)
    expect(parseGitReference(text)).toEqual(expected)
  })

  test.each([
    ['https://host/shop', 'does not end in .git'],
    ['http://host/shop.git', 'anybody on the way'],
    ['http://127.0.0.1.evil.example/shop.git', 'anybody on the way'],
    ['https://host/shop.git#--upload-pack=x', 'no branch, tag or commit'],
    ['https://host/shop.git#a..b', 'no branch, tag or commit'],
    ['https://host/shop.git#a b', 'blanks'],
    ['https://host/shop.git#main:../../etc', 'no path within'],
    ['https://host/shop.git#main:/etc', 'no path within'],
    ['https://host/shop.git#main:-x', 'no path within'],
    ['https://host/shop.git#main:.git/config', 'no path within'],
    ['ssh://-oProxyCommand=x/shop.git', 'no reference'],
    ['ssh://a@-oProxyCommand=x/shop.git', 'no reference'],
    ['a@-oProxyCommand=x:shop.git', 'no reference'],
    ['ext::sh -c x', 'blanks'],
    ['ext::x', 'no reference'],
    [`https://host/${'a'.repeat(3000)}.git`, 'too long'],
  ])('refuses %s', (text, reason) => {
    expect(() => parseGitReference(text)).toThrow(reason)
  })

  test.each([
    './stack.yaml',
    '/srv/a.yaml',
    'a@b.yaml',
    'C:\\a.yaml',
    '../git/x.yaml',
    'oci/a.yaml',
  ])('%s is a file of this machine', (path) => {
    expect(isRemote(path)).toBe(false)
  })
})
