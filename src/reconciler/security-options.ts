/** `security_opt`: what each option means to a container, and which cannot be had here. */
import { existsSync } from 'node:fs'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

type SecurityOptions = Pick<ContainerConfig, 'noNewPrivileges' | 'seccomp' | 'systemPaths'>

const APPARMOR = '/sys/module/apparmor'

/** @throws {INVALID_ARGUMENT} for an unknown option, {UNIMPLEMENTED} for a profile of AppArmor where the kernel has it */
export function securityOptionsOf(service: Service): SecurityOptions {
  let noNewPrivileges = false
  let seccomp = service.privileged === true ? 'unconfined' : 'default'
  let systemPaths: SecurityOptions['systemPaths'] =
    service.privileged === true ? 'unconfined' : 'protected'
  for (const option of service.security_opt ?? []) {
    const [, name = option, value = ''] = /^([^=:]+)[=:](.*)$/s.exec(option) ?? []
    if (name === 'no-new-privileges') noNewPrivileges = value !== 'false'
    else if (name === 'seccomp') seccomp = value === 'builtin' ? 'default' : value
    else if (name === 'systempaths' && value === 'unconfined') systemPaths = 'unconfined'
    else if (name === 'apparmor') refuseAppArmor(value)
    else if (name !== 'label') throw unknownOption(option) // labels are SELinux's: nothing to do without it
  }
  return { noNewPrivileges, seccomp, systemPaths }
}

function refuseAppArmor(profile: string): void {
  if (profile === 'unconfined' || !existsSync(APPARMOR)) return
  throw new TsstackError(
    'UNIMPLEMENTED',
    `Cannot apply AppArmor profile "${profile}": tsstack confines by capabilities, a system call filter and user namespaces`,
    { hint: 'Remove it from "security_opt:", or write apparmor=unconfined' },
  )
}

function unknownOption(option: string): TsstackError {
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use security option "${option}": it is not known`,
    {
      hint: 'Known are no-new-privileges, seccomp=, apparmor=, label= and systempaths=unconfined',
    },
  )
}
