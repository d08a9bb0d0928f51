"""What the demo calls the played sites and their texts, as a user's CSV files would."""

ACCOUNTS = {"40101": "Warm Home shop", "40202": "Smile clinic"}

# A piece of the text as bi shows it, then label, category and campaign.
TEMPLATES = (
    ("код авторизации", "Sign-in code", "code", ""),
    ("код подтверждения заказа", "Order confirmation code", "code", ""),
    ("собран и ждет вас", "Order ready to collect", "service", ""),
    ("передан курьеру", "Order with the courier", "service", ""),
    ("отменен", "Order cancelled", "service", ""),
    ("Внимание, скидки", "Today-only sale", "marketing", "One-day sales"),
    ("бонусов! Спишите", "Bonus points gift", "marketing", "Loyalty"),
    ("Распродажа до", "Up to 70% off", "marketing", "Season sale"),
    ("забыли товары в корзине", "Forgotten basket", "marketing", "Baskets"),
    ("Оцените покупку", "Rate your purchase", "service", "Reviews"),
    ("с днём рождения", "Birthday code", "marketing", "Birthdays"),
    ("Новая коллекция", "New textiles", "marketing", "New collection"),
    ("ждём вас завтра", "Appointment tomorrow", "service", ""),
    ("личный кабинет", "Patient account code", "code", ""),
    ("пора на осмотр", "Check-up reminder", "marketing", "Check-ups"),
    ("Спасибо за визит", "Rate your visit", "service", "Reviews"),
)
