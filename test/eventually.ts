const PAUSE_MS = 5
/** How many times longer everything takes: on an emulated machine (scripts/test-vm.ts). */
const SLOWNESS = Number(process.env['TSSTACK_TEST_SLOWNESS'] ?? 1)

/**
 * Looks again and again until there is a value (not undefined, not false).
 * @throws {Error} after `timeoutMs`, naming what was waited for
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs * SLOWNESS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}
