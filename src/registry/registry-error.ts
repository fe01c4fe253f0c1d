/** What an unsuccessful answer of a registry means (OCI Distribution 1.1, "Error Codes"). */
import { TsstackError } from '../errors.ts'
import { readBody, type HttpResponse } from './http-exchange.ts'
import { TransientError } from './transient-error.ts'

const MAX_ERROR_BYTES = 64 << 10
const MAX_SHOWN = 200

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | undefined): { retryAfterMs?: number } {
  if (header === undefined) return {}
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? { retryAfterMs: Math.max(ms, 0) } : {}
}

/** The registry's own words, made harmless: they come to a terminal. */
function reasonIn(bytes: Buffer): string {
  try {
    const { errors } = JSON.parse(bytes.toString('utf8')) as { errors?: unknown }
    const [first] = Array.isArray(errors) ? (errors as unknown[]) : []
    const { code, message } = (first ?? {}) as Record<string, unknown>
    const words = [code, message].filter((word) => typeof word === 'string' && word !== '')
    // eslint-disable-next-line no-control-regex -- control characters are what is replaced
    const text = words.join(': ').replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
    return text === '' ? '' : ` (${text.slice(0, MAX_SHOWN)})`
  } catch {
    return ''
  }
}

/**
 * The failure that an answer stands for.
 * @param what - `get manifest "nginx:1"`: after `Cannot`
 * @param home - the registry, whose token service may have answered
 */
export async function failureOfResponse(
  response: HttpResponse,
  what: string,
  { home, hasLogin }: { readonly home: URL; readonly hasLogin: boolean },
): Promise<TsstackError> {
  const { status, headers, url } = response
  const reason = reasonIn(await readBody(response, MAX_ERROR_BYTES).catch(() => Buffer.alloc(0)))
  const message = (state: string): string =>
    `Cannot ${what} at registry "${url.host}": ${state}${reason}`
  const login = { hint: `Log in with "tsstack login ${home.host}", or check the name` }
  if (status === 401) {
    const state = hasLogin ? 'it does not let this login in' : 'it wants a login'
    return new TsstackError('PERMISSION_DENIED', message(state), login)
  }
  if (status === 403) return new TsstackError('PERMISSION_DENIED', message('access denied'), login)
  if (status === 404) return new TsstackError('NOT_FOUND', message('not found'))
  if (status === 429) {
    return new TransientError(message('too many requests'), {
      ...retryAfterMs(headers['retry-after']),
      hint: 'Log in for a higher limit, or try again later',
    })
  }
  if (status >= 500 || status === 408) {
    const after = retryAfterMs(headers['retry-after'])
    return new TransientError(message(`it answered ${status}`), after)
  }
  return new TsstackError('FAILED_PRECONDITION', message(`it answered ${status}`), {
    ...(status === 413 ? { hint: 'A proxy before it limits how large a request may be' } : {}),
  })
}
