/** 24 days: a timer of Node's that is given more than this ends at once (Node: setTimeout). */
export const LONGEST_TIMER_MS = 2 ** 31 - 1
