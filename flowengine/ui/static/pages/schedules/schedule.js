// A schedule, as the API tells it, and its times in words.

/**
 * @typedef {{at: string, scheduled_at: string, outcome: string, execution_id: string | null, until: string | null, code: string | null,
 *   message: string | null, by: {key: string | null} | null}} Outcome
 *
 * @typedef {object} Schedule
 * @property {string} name of its definition
 * @property {string} id
 * @property {number} version
 * @property {string | null} cron
 * @property {number | null} every_seconds
 * @property {string} timezone
 * @property {string} catch_up
 * @property {string} overlap
 * @property {"active" | "paused"} status
 * @property {{by: "document" | "operator", at: string | null, key: string | null} | null} paused
 * @property {string[]} next_times
 * @property {string | null} waiting
 * @property {{execution_id: string, status: string, scheduled_at: string}[]} running
 * @property {string[]} held_by
 * @property {Outcome[]} last
 */

const DAYS = ["Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
const UNITS = /** @type {[number, string][]} */ ([[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]);

/** @param {Schedule} schedule When it starts one: "daily at 02:00 Europe/Berlin"; a cron line that is not simple stays as it is. */
export function whenWords({ cron, every_seconds: every, timezone }) {
  return every === null ? `${cronWords(cron ?? "")} ${timezone}` : everyWords(every);
}

/** @param {string} cron */
function cronWords(cron) {
  if (cron.startsWith("@")) return cron.slice(1);
  const [minute, hour, day, month, weekday, ...more] = cron.split(/\s+/);
  if (more.length || month !== "*" || !(day === "*" || weekday === "*")) return cron;
  const step = /^\*\/(\d+)$/.exec(minute);
  const isEachDay = day === "*" && weekday === "*";
  if (step && hour === "*" && isEachDay) return `every ${step[1]} min`;
  if (!/^\d+$/.test(minute)) return cron;
  if (hour === "*" && isEachDay) return `hourly at :${minute.padStart(2, "0")}`;
  if (!/^\d+$/.test(hour)) return cron;
  const days = isEachDay ? "daily" : daysWords(day, weekday);
  return days ? `${days} at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}` : cron;
}

/** @param {string} day @param {string} weekday */
function daysWords(day, weekday) {
  if (/^(1-5|MON-FRI)$/i.test(weekday)) return "Monday to Friday";
  const at = /^[0-7]$/.test(weekday) ? Number(weekday) : DAYS.findIndex((each) => each.slice(0, 3).toUpperCase() === weekday.toUpperCase());
  if (at >= 0) return DAYS[at];
  return weekday === "*" && /^\d+$/.test(day) ? `on day ${day} of the month` : "";
}

/** @param {number} seconds */
function everyWords(seconds) {
  const [size, unit] = UNITS.find(([each]) => seconds % each === 0) ?? [1, "second"];
  return seconds === size ? `every ${unit}` : `every ${seconds / size} ${unit}s`;
}

/** @type {Record<string, string>} What happens to a time that comes while one still runs. */
export const OVERLAPS = {
  skip: "while one runs, the next is left out", queue: "while one runs, the next waits", cancel_running: "the next cancels one that still runs",
  allow: "several may run at once",
};

/** @type {Record<string, {word: string, icon: string, look: string}>} */
export const OUTCOMES = {
  started: { word: "Started", icon: "right", look: "queued" },
  skipped: { word: "Left out: one still ran", icon: "skipped", look: "skipped" },
  queued: { word: "Waits for the one that runs", icon: "queued", look: "queued" },
  replaced: { word: "Replaced by a newer time", icon: "skipped", look: "skipped" },
  refused: { word: "Refused", icon: "failed", look: "failed" },
  missed: { word: "Missed, and not caught up", icon: "warn", look: "waiting" },
};

/** @param {string} outcome */
export const outcomeOf = (outcome) => (Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : { word: outcome, icon: "pending", look: "pending" });

/** @param {Schedule} schedule @param {string} does pause, resume, trigger or history */
export const schedulePath = ({ name, id }, does) => `/schedules/${encodeURIComponent(name)}/${encodeURIComponent(id)}/${does}`;

/** @param {Schedule} schedule */
export const scheduleKey = ({ name, id }) => JSON.stringify([name, id]);
