/**
 * The ground floor: every failure that leaves a room is a TsstackError with a code from one closed table.
 * The table gives, once and for all, what HTTP status and what exit code a failure becomes.
 */

/** code -> HTTP status and process exit code. Exit codes are those of Docker Compose where it has them. */
export const ERROR_CODES = {
  INVALID_ARGUMENT: { http: 400, exit: 1 },
  PERMISSION_DENIED: { http: 403, exit: 1 },
  NOT_FOUND: { http: 404, exit: 1 },
  ALREADY_EXISTS: { http: 409, exit: 1 },
  FAILED_PRECONDITION: { http: 412, exit: 1 },
  CANCELLED: { http: 499, exit: 130 },
  SYSCALL_FAILED: { http: 500, exit: 1 },
  INTERNAL: { http: 500, exit: 1 },
  UNIMPLEMENTED: { http: 501, exit: 1 },
  UNAVAILABLE: { http: 503, exit: 1 },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorOptions {
  /** The failure that led to this one. */
  readonly cause?: unknown
  /** What the user can do about it: one sentence, imperative. */
  readonly hint?: string
  /** Where it is not the code's own. */
  readonly exitCode?: number
}

/** What crosses the socket: an error without its stack. */
export interface ErrorBody {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
  /** Of the command that failed, where it is not the code's own: 126, 127. */
  readonly exitCode?: number
}

/** The one error class. Message grammar: `Cannot <verb> <object>: <state>`, no period, values in quotes, no secrets. */
export class TsstackError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  /** What a command that fails with it exits with. */
  readonly exitCode: number

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.hint = options.hint
    this.exitCode = options.exitCode ?? ERROR_CODES[code].exit
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.exitCode === ERROR_CODES[this.code].exit ? {} : { exitCode: this.exitCode }),
    }
  }
}

/** Wraps whatever was thrown, so that the caller can rely on a code. */
export function toTsstackError(thrown: unknown): TsstackError {
  if (thrown instanceof TsstackError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new TsstackError('INTERNAL', message, { cause: thrown })
}
