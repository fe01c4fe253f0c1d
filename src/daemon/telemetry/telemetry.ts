/** Counts and traces the reconciler's plans: a span for the plan, and one for each of its operations. */
import type { Operation } from '../../planner/plan.ts'
import type { Drift } from '../../reconciler/loop/drift.ts'
import type { OperationDriver } from '../../reconciler/execute-plan.ts'
import { describeOperation } from '../../reconciler/operation-words.ts'
import type { Telemetry } from '../../reconciler/telemetry.ts'
import { createOtlpExporter, readOtlpSettings } from './otlp-exporter.ts'
import type { ReconcileMetrics } from './reconcile-metrics.ts'
import { createTracer, newSpanId, noTracer, type Tracer } from './tracer.ts'

/** The tracer that the environment asks for. */
export function openTracer(environment: NodeJS.ProcessEnv): Tracer {
  const settings = readOtlpSettings(environment)
  return settings === undefined ? noTracer : createTracer(createOtlpExporter(settings))
}

export function createTelemetry(metrics: ReconcileMetrics, tracer: Tracer): Telemetry {
  return {
    async plan({ plan, drive }, work) {
      const startedAt = performance.now()
      const settle = (result: 'success' | 'failure'): void => {
        metrics.plan(plan.stack, result, (performance.now() - startedAt) / 1000)
      }
      const spanIds = new Map(plan.operations.map(({ id }) => [id, newSpanId()]))
      const attributes = {
        'project.name': plan.stack,
        'tsstack.operations': plan.operations.length,
      }
      try {
        const result = await tracer.span({ name: `reconcile ${plan.stack}`, attributes }, () =>
          work(measured({ drive, metrics, tracer, spanIds })),
        )
        settle('success')
        return result
      } catch (error) {
        settle('failure')
        throw error
      }
    },
    repairs(stack, work) {
      const attributes = { 'project.name': stack }
      return tracer.span({ name: `repair ${stack}`, attributes }, () =>
        work((drift, repair) =>
          tracer.span({ name: `repair ${drift.kind}`, attributes: driftAttributes(drift) }, repair),
        ),
      )
    },
  }
}

function driftAttributes({ subject, service, difference }: Drift): Record<string, string> {
  return {
    'tsstack.subject': subject,
    ...(service === undefined ? {} : { 'service.name': service }),
    'tsstack.difference': difference,
  }
}

interface Measured {
  readonly drive: OperationDriver
  readonly metrics: ReconcileMetrics
  readonly tracer: Tracer
  readonly spanIds: ReadonlyMap<number, string>
}

function measured({ drive, metrics, tracer, spanIds }: Measured): OperationDriver {
  return async (operation) => {
    const spanId = spanIds.get(operation.id) ?? newSpanId()
    const links = operation.dependsOn.flatMap((id) => spanIds.get(id) ?? [])
    const options = { name: operation.kind, attributes: attributesOf(operation), links, spanId }
    try {
      const result = await tracer.span(options, () => drive(operation))
      metrics.operation(operation.kind, 'success')
      return result
    } catch (error) {
      metrics.operation(operation.kind, 'failure')
      throw error
    }
  }
}

function attributesOf(operation: Operation): Record<string, string> {
  const { resource, name } = describeOperation(operation)
  return {
    [`${resource}.name`]: name,
    ...('service' in operation ? { 'service.name': operation.service } : {}),
    'tsstack.cause': operation.cause,
  }
}
