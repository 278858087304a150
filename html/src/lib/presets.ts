// Ready-made jobs for the types that come with TaskForge.
import type { Submission } from './api';

export interface Preset {
  label: string;
  job: Submission;
}

export const PRESETS: Preset[] = [
  { label: 'Nothing, quickly', job: { type: 'noop' } },
  { label: 'Wait five seconds', job: { type: 'sleep', payload: { seconds: 5 }, name: 'a short nap' } },
  { label: 'Wait half a minute, urgently', job: { type: 'sleep', payload: { seconds: 30 }, priority: 'critical', name: 'an urgent nap' } },
  {
    label: 'Sales by region',
    job: {
      type: 'data_processing',
      name: 'sales by region',
      payload: { dataset: 'sales_q1', operation: 'aggregate', group_by: 'region', columns: ['units', 'revenue'] },
    },
  },
  {
    label: 'Best days, by SQL',
    job: {
      type: 'data_processing',
      name: 'best days',
      payload: { dataset: 'sales_q1', operation: 'sql', query: 'SELECT order_date, sum(revenue) AS revenue FROM data GROUP BY order_date ORDER BY revenue DESC', limit: 10 },
    },
  },
  { label: 'Sales as a spreadsheet', job: { type: 'file_conversion', name: 'sales as XLSX', payload: { input: 'sales_q1.csv', to: 'xlsx' } } },
  {
    label: 'Report of the last day',
    job: { type: 'report_generation', name: 'report of the day', payload: { report_type: 'operations', date_range: 'last_24_hours' } },
  },
  {
    label: 'Large orders, into a file',
    job: {
      type: 'data_pipeline',
      name: 'large orders',
      payload: { source: 'file:sales_q1.csv', destination: 'file:large-orders.jsonl', steps: [{ filter: { column: 'units', op: 'ge', value: 10 } }] },
    },
  },
  { label: 'Is a site up?', job: { type: 'api_call', name: 'is it up?', payload: { url: 'https://example.com/', method: 'HEAD', expected_status: [200] } } },
  {
    label: 'Headlines of a page',
    job: { type: 'web_scraping', name: 'headlines', payload: { url: 'https://example.com/', selectors: { headlines: 'h1, h2' } } },
  },
  { label: 'A dataset that is not there', job: { type: 'data_processing', payload: { dataset: 'missing' }, name: 'fails at once' } },
];

export const PRIORITIES = ['low', 'normal', 'high', 'critical'] as const;
export const STATUSES = ['QUEUED', 'SCHEDULED', 'RUNNING', 'RETRYING', 'SUCCESS', 'FAILED', 'DEAD_LETTER', 'CANCELLED'] as const;

/** The name of a level from 0 to 10. */
export const levelName = (level: number): (typeof PRIORITIES)[number] => (level <= 3 ? 'low' : level <= 6 ? 'normal' : level <= 8 ? 'high' : 'critical');
