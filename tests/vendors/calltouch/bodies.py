"""Error bodies of Calltouch: the five that its document prints, and one that it does not."""

NO_ACCESS = (
    '{"meta": [], "data": {"message": "Пользователь Пётр Иванов 89209383654 не имеет доступа '
    'к данному методу API"}}'
)


BAD_CREDENTIALS = '{"message": "Invalid credentials."}'


VALIDATION = """{"meta": [], "data": {"type": "validationError", "apiErrorData": null,
  "validationErrorData": {"violations": [
    {"fieldPath": "dateFrom", "message": "Значение не может быть больше текущего дня"},
    {"fieldPath": "dateTo", "message": "Значение не должно быть пустым."}]}}}"""


PRINTED = """{
    "meta": [],
    "data": {
        "type": "validationError",
        "apiErrorData": null,
        "validationErrorData": {
            "violations": [
                {
                    "fieldPath": "dateTo",
                    "message": "Значение не может быть меньше dateFrom",
                },
                {
                    "fieldPath": "phoneNumbers",
                    "message": "Эта коллекция должна содержать больше или равно 1 элементу"
                }


            ]
        }
    }
}
"""


API_ERROR = """{"meta": [], "data": {"type": "apiError", "apiErrorData": {"errorCode": 1,
  "errorMessage": "Синтаксическая ошибка JSON в запросе или запрос пустой",
  "errorDescription": null}, "validationErrorData": null}}"""


MISSING = '{"meta": [], "data": {"message": "В запросе не указано обязательное поле dateTo"}}'


POINTS = '{"meta": [], "data": {"message": "Превышен суточный лимит баллов API"}}'
