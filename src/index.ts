/**
 * tsstack as a library: the door, and the only barrel. Importing it loads next to nothing; each function loads what it
 * needs when it is called. docs/typed-stacks.md tells the story.
 */
export { defineStack } from './library/define-stack.ts'
export type { ServiceDefinition, StackDefinition } from './library/define-stack.ts'
export { down } from './library/down.ts'
export type { DownOptions, RemovalOptions } from './library/down.ts'
export { loadStack } from './library/load-stack.ts'
export { plan } from './library/plan.ts'
export type { ServiceOptions } from './library/plan.ts'
export type { ExecOptions, ExecResult, RunningStack } from './library/running-stack.ts'
export type { StackOptions } from './library/stack-options.ts'
export { up } from './library/up.ts'
export type { UpOptions } from './library/up.ts'
export { TsstackError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export { SpecError } from './spec/spec-error.ts'
export type { Diagnostic } from './spec/spec-error.ts'
export type { LoadedStack, SpecWarning } from './spec/loaded-stack.ts'
export type { Service, Stack } from './spec/stack.ts'
export type {
  ContainerSummary,
  LogLine,
  PlanResponse,
  ProgressEvent,
  PublishedPort,
} from './api/types.ts'
