ALTER TABLE workers DROP active_io;
