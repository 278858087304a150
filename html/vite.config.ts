import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// TASKFORGE_HTML_OUT: where to build. Nothing is inlined: the Content-Security-Policy allows files of our own only.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.TASKFORGE_HTML_OUT ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: 'es2022',
  },
});
