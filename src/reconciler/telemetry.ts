/** What is measured of the reconciler's work: the interface; src/daemon/telemetry counts, traces and exports. */
import type { Plan } from '../planner/plan.ts'
import type { Drift } from './loop/drift.ts'
import type { OperationDriver } from './execute-plan.ts'

export interface Telemetry {
  /** Runs the work of one plan; `work` gets the driver to run it with. */
  plan<T>(run: PlanRun, work: (drive: OperationDriver) => Promise<T>): Promise<T>
  /** Runs the repairs of one look at a stack; `work` gets what to run each of them in. */
  repairs<T>(stack: string, work: (measure: MeasureRepair) => Promise<T>): Promise<T>
}

export type MeasureRepair = (drift: Drift, repair: () => Promise<void>) => Promise<void>

export interface PlanRun {
  readonly plan: Plan
  readonly drive: OperationDriver
}
