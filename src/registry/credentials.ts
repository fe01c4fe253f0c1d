/** Who one is for a registry. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** From an earlier login: good for tokens only. */
  | { readonly identityToken: string }

/** By the registry's name in images: `docker.io`, `127.0.0.1:5000`. */
export type CredentialsByRegistry = Readonly<Record<string, Credentials>>

/** `Authorization: Basic …` (RFC 7617). Pure. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
