/** Sizes and times in Docker's words (github.com/docker/go-units). Pure. */

/** `Less than a second`, `5 seconds`, `About a minute`, `3 hours`, `2 weeks`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${String(seconds)} seconds`
  const minutes = Math.floor(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${String(minutes)} minutes`
  const hours = Math.round(ms / 3_600_000)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${String(hours)} hours`
  const days = Math.floor(hours / 24)
  if (hours < 24 * 7 * 2) return `${String(days)} days`
  if (hours < 24 * 30 * 2) return `${String(Math.floor(days / 7))} weeks`
  if (hours < 24 * 365 * 2) return `${String(Math.floor(days / 30))} months`
  return `${String(Math.floor(days / 365))} years`
}

/** As `humanDuration`, within a sentence. */
export function lowerDuration(ms: number): string {
  const text = humanDuration(ms)
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let size = bytes
  let unit = 0
  while (size >= base && unit < units.length - 1) {
    size /= base
    unit += 1
  }
  return `${String(Number(size.toPrecision(digits)))}${units[unit] ?? ''}`
}

/** Decimal: `1.21MB`. */
export function humanSize(bytes: number): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], 3)
}

/** Binary: `64MiB`. */
export function humanBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4)
}

/** Whole text, or its beginning and `…`, at most `length` code points. */
export function ellipsis(text: string, length: number): string {
  const points = Array.from(text)
  return points.length <= length ? text : `${points.slice(0, length - 1).join('')}…`
}
