/** Certificates of a test's own, by openssl. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Certificate {
  /** Files, PEM. */
  readonly certificate: string
  readonly key: string
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' })
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** An authority, whose certificate is its own. */
export function makeAuthority(directory: string, name: string): Certificate {
  const [certificate, key] = [`${name}.crt`, `${name}.key`].map((file) =>
    path.join(directory, file),
  )
  const files = ['-keyout', key ?? '', '-out', certificate ?? '']
  openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', `/CN=${name}`, ...files)
  return { certificate: certificate ?? '', key: key ?? '' }
}

/** @param names - as in subjectAltName: `DNS:registry.example`, `IP:127.0.0.1` */
export function makeCertificate(
  directory: string,
  authority: Certificate,
  names: readonly string[],
  name = 'server',
): Certificate {
  const file = (suffix: string): string => path.join(directory, `${name}.${suffix}`)
  openssl('req', ...NEW_KEY, '-subj', '/CN=server', '-keyout', file('key'), '-out', file('csr'))
  writeFileSync(file('ext'), `subjectAltName=${names.join(',')}\n`)
  const by = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial']
  const files = ['-in', file('csr'), '-extfile', file('ext'), '-out', file('crt')]
  openssl('x509', '-req', ...by, '-days', '2', ...files)
  return { certificate: file('crt'), key: file('key') }
}
