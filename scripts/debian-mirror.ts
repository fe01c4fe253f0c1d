import { execa } from 'execa'

/** The Debian mirror that this machine's apt uses. @throws {Error} when it uses none */
export async function debianMirror(): Promise<string> {
  const { stdout } = await execa('apt-get', ['indextargets', '--format', '$(ORIGIN) $(SITE)'])
  const site = /^Debian (http.*\/debian\/?)$/m.exec(stdout)?.[1]
  if (site === undefined) throw new Error('Cannot find a Debian mirror: apt knows none')
  return site
}
