/** What is measured of the reconciler's work: the interface; src/daemon/telemetry counts, traces and exports. */
import type { Plan } from '../planner/plan.ts'
import type { OperationDriver } from './execute-plan.ts'

export interface Telemetry {
  /** Runs the work of one plan; `work` gets the driver to run it with. */
  plan<T>(run: PlanRun, work: (drive: OperationDriver) => Promise<T>): Promise<T>
}

export interface PlanRun {
  readonly plan: Plan
  readonly drive: OperationDriver
}
