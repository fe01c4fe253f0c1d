/** Internet addresses as text. */

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`)

/** An IPv4 or IPv6 address, without a zone. */
export function isIPAddress(text: string): boolean {
  return IPV4.test(text) || isIPv6Address(text)
}

function isIPv6Address(text: string): boolean {
  if (!text.includes(':') || text.length > 45) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = groups.at(-1) ?? ''
  const isMapped = IPV4.test(last)
  const hexadecimal = isMapped ? groups.slice(0, -1) : groups
  if (!hexadecimal.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false
  const count = hexadecimal.length + (isMapped ? 2 : 0)
  return halves.length === 2 ? count < 8 : count === 8
}
