/** Points in time among the arguments of a request. */
import { TsstackError } from '../errors.ts'
import { parseMoment } from '../spec/moment.ts'

/** In the form that logs and events have. @throws {INVALID_ARGUMENT} */
export function timeArgument(text: string): string {
  const milliseconds = parseMoment(text, Date.now())
  if (Number.isNaN(milliseconds))
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read time "${text}"`, {
      hint: 'Use RFC 3339 or a duration such as 10m',
    })
  return `${new Date(milliseconds).toISOString().slice(0, -1)}000000Z` // there are nanoseconds
}
