/** Takes logins out of what is shown. Pure. */

/** A password may have an `@` in it: the last one before the path counts. */
const LOGIN = /\/\/[^/\s]*@/g

/** A text as it may be shown: without user and password in its URLs. */
export function withoutLogin(text: string): string {
  return text.replaceAll(LOGIN, '//')
}
