// One type scale (five sizes), one spacing scale (Tailwind's 4 px steps), colours by meaning: src/index.css has their
// values for light and dark.
const named = (name) => `rgb(var(--${name}) / <alpha-value>)`;

export default {
  content: ['index.html', 'src/**/*.tsx'],
  theme: {
    fontSize: {
      xs: ['0.75rem', '1rem'],
      sm: ['0.875rem', '1.25rem'],
      base: ['1rem', '1.5rem'],
      lg: ['1.25rem', '1.75rem'],
      xl: ['1.75rem', '2.25rem'],
    },
    colors: {
      transparent: 'transparent',
      current: 'currentColor',
      canvas: named('canvas'),
      surface: named('surface'),
      raised: named('raised'),
      line: named('line'),
      ink: named('ink'),
      muted: named('muted'),
      waiting: named('waiting'),
      running: named('running'),
      good: named('good'),
      warning: named('warning'),
      bad: named('bad'),
      dead: named('dead'),
    },
    fontFamily: {
      sans: ['system-ui', '-apple-system', 'Segoe UI', 'Roboto', 'Cantarell', 'Noto Sans', 'sans-serif'],
      mono: ['ui-monospace', 'SFMono-Regular', 'Menlo', 'DejaVu Sans Mono', 'monospace'],
    },
    extend: { borderRadius: { DEFAULT: '6px', lg: '10px' } },
  },
};
