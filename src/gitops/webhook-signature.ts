/** Whether a webhook comes from who knows the secret: GitHub, GitLab, Gitea and Forgejo. Pure; takes as long whatever is wrong. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** Constant time, the length apart, which is no secret of ours: both are hashed first. */
function isSame(a: string, b: string): boolean {
  const hashed = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest()
  return timingSafeEqual(hashed(a), hashed(b))
}

/**
 * @param body - as it came, every byte
 * @returns false without a header that one of them sends
 */
export function isSigned(headers: IncomingHttpHeaders, body: Uint8Array, secret: string): boolean {
  const mac = createHmac('sha256', secret).update(body).digest('hex')
  const header = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value : undefined
  }
  const github = header('x-hub-signature-256')
  const gitea = header('x-gitea-signature') ?? header('x-forgejo-signature')
  const gitlab = header('x-gitlab-token')
  if (github !== undefined) return isSame(github, `sha256=${mac}`)
  if (gitea !== undefined) return isSame(gitea, mac)
  if (gitlab !== undefined) return isSame(gitlab, secret)
  return false
}
