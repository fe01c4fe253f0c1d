/**
 * Tells others what became of a source: one JSON object by POST, once for each change, tried a few times. Signed as GitHub
 * signs its webhooks, where the source has a secret.
 */
import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../log.ts'
import type { ProgressRecord, SourceRecord } from './source-records.ts'

const ATTEMPTS = 3
const TIMEOUT_MS = 10_000
const PAUSE_MS = 2000

/** What there is to tell of a source. */
export interface SourceNews {
  readonly ready: ProgressRecord['ready']
  /** `ImageUpdateFailed`: what runs goes on, and newer images could not be written. */
  readonly reason: ProgressRecord['reason'] | 'ImageUpdateFailed'
  readonly message: string
  /** That was last seen; empty: none. */
  readonly commit: string
  /** RFC 3339. */
  readonly time: string
}

/** What a receiver gets. `text` is what chat programs show. */
interface Notification extends SourceNews {
  readonly source: string
  readonly stack: string
  readonly text: string
}

/** Returns at once; failures are logged. That it is on its way is no news. */
export function notify(source: SourceRecord, news: SourceNews): void {
  const { ready, reason, message } = news
  if (source.notify.length === 0 || ready === 'Unknown') return
  const { name, stack } = source
  const text = `${name}: ${reason}: ${message}`
  const body: Notification = { source: name, stack, ...news, text }
  for (const url of source.notify) {
    post(url, JSON.stringify(body), source.webhookSecret).catch((error: unknown) => {
      log.warn('notification failed', { source: name, host: new URL(url).host, error })
    })
  }
}

async function post(url: string, body: string, secret: string | undefined): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'tsstack',
    ...(secret === undefined ? {} : { 'x-hub-signature-256': signatureOf(body, secret) }),
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      await response.body?.cancel()
      if (response.ok) return
      throw new Error(`status ${String(response.status)}`)
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      await sleep(PAUSE_MS * attempt, undefined, { ref: false })
    }
  }
}

function signatureOf(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}
