import { describe, expect, test } from 'vitest'
import { refuseHostFiles } from '../../src/reconciler/build-stack.ts'

describe('refuseHostFiles() keeps files of the host from Dockerfiles of git', () => {
  test.each(['dir:/root', 'oci:/srv/image', 'oci-archive:a.tar', 'docker-archive:/a.tar'])(
    'refuses %s',
    (reference) => {
      expect(() => {
        refuseHostFiles(reference)
      }).toThrow('may not read files of this host')
    },
  )
  test('refuses a path among programs, and takes programs and images of registries', () => {
    expect(() => {
      refuseHostFiles('host:sh,/etc/shadow')
    }).toThrow('may not read')
    refuseHostFiles('host:sh,pkg:bash')
    refuseHostFiles('alpine:3')
    refuseHostFiles('docker://registry.example.com/a/b:1')
  })
})
