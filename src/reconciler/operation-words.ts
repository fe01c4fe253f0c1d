/** Operations as people read them in the progress: Docker Compose's words. */
import type { Operation } from '../planner/plan.ts'

export interface OperationWords {
  readonly resource: 'network' | 'volume' | 'container' | 'service'
  readonly name: string
  /** Absent: not worth a line of its own. */
  readonly doing?: string
  readonly done: string
}

const WAIT_WORDS = {
  service_started: 'Started',
  service_healthy: 'Healthy',
  service_completed_successfully: 'Exited',
} as const

export function describeOperation(operation: Operation): OperationWords {
  switch (operation.kind) {
    case 'create-network':
      return { resource: 'network', name: operation.network, doing: 'Creating', done: 'Created' }
    case 'remove-network':
      return { resource: 'network', name: operation.network, doing: 'Removing', done: 'Removed' }
    case 'create-volume':
      return { resource: 'volume', name: operation.volume, doing: 'Creating', done: 'Created' }
    case 'remove-volume':
      return { resource: 'volume', name: operation.volume, doing: 'Removing', done: 'Removed' }
    case 'create-container':
      return {
        resource: 'container',
        name: operation.container,
        doing: 'Creating',
        done: 'Created',
      }
    case 'update-container':
      return {
        resource: 'container',
        name: operation.container,
        doing: 'Updating',
        done: 'Updated',
      }
    case 'start-container':
      return {
        resource: 'container',
        name: operation.container,
        doing: 'Starting',
        done: 'Started',
      }
    case 'stop-container':
      return {
        resource: 'container',
        name: operation.container,
        doing: 'Stopping',
        done: 'Stopped',
      }
    case 'remove-container':
      return {
        resource: 'container',
        name: operation.container,
        doing: 'Removing',
        done: 'Removed',
      }
    case 'roll-out-service':
      return { resource: 'service', name: operation.service, doing: 'Updating', done: 'Updated' }
    case 'wait-for-service':
      return operation.condition === 'service_started'
        ? { resource: 'service', name: operation.service, done: WAIT_WORDS[operation.condition] }
        : {
            resource: 'service',
            name: operation.service,
            doing: 'Waiting',
            done: WAIT_WORDS[operation.condition],
          }
  }
}
